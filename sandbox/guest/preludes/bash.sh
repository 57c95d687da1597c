# BASH_ENV of a bash that is started before its program is there: it runs this, and only then opens the program's file.
# Builtins alone, no variable, no function: what is left of it must not be told from a bash that has just begun.
set -- "$_"
echo >&251
. /dev/fd/250 # waits here; the job's part ends with `return 7`
(($? == 7)) || kill -KILL $$
unset BASH_ENV
SECONDS=0
eval set -- '#' "$1" # leaves $_ as it was, and no argument
