#!lua flags=allow-oom
-- Tell every worker that a job or batch is cancelled; also while memory is at its bound: it frees some.
-- KEYS cancel stream  ARGV id, length
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'id', ARGV[1])
