# sqlite3 works in memory and in a file.
import sqlite3

for place in (":memory:", "data.db"):
    with sqlite3.connect(place) as connection:
        connection.execute("create table t (a integer primary key, b text)")
        connection.executemany("insert into t (b) values (?)", [("x",), ("ü",), (None,)])
        print(connection.execute("select count(*), max(a), group_concat(b, '|') from t").fetchone())
connection.execute("select * from missing")
