# Dates are computed in UTC by default and zones have their rules.
import datetime
import time

moment = datetime.datetime(2024, 3, 10, 12, 30, tzinfo=datetime.UTC)
print(moment, moment.isoformat(), moment.strftime("%A %d %B %Y %j %U"), moment.timestamp())
print(datetime.datetime.fromtimestamp(0), time.tzname, time.timezone, time.localtime(0).tm_hour)
print(datetime.date(2024, 2, 28) + datetime.timedelta(days=2), datetime.timedelta(seconds=-1))
