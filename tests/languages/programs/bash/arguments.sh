echo "$0" "$#" "$@"
for argument; do printf '[%s]' "$argument"; done
