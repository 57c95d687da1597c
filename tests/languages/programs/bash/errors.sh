no_such_command_here
echo $?
cat no_such_file
set -eu
echo "$unset"
echo never
