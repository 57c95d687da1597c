# A large stdin that is never read does no harm.
print("not interested")
