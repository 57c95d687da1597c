import os

SECRETS = ("shadow", "gshadow", "ssh", "ssl/private", "machine-id", "sudoers", "krb5.keytab", "fstab", "crontab")
found = [name for name in SECRETS if os.path.lexists(f"/etc/{name}")]
print("managed: secrets" if found else "denied: secrets", found)
print(open("/etc/resolv.conf").read(), open("/etc/hosts").read())
names = {line.partition(":")[0] for line in open("/etc/passwd")}
print("managed: users" if [n for n in names if not n.startswith(("eval", "root", "nobody"))] else "denied: users")
