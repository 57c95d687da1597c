# decimal, fractions and statistics use their default contexts.
import decimal
import fractions
import statistics

print(decimal.getcontext())
print(decimal.Decimal(1) / 3, fractions.Fraction("0.125"), statistics.stdev([1, 2, 4]))
decimal.Decimal(1) / 0
