declare -A map=([a]=1 [b]=2); list=(x "y z")
echo "${!map[@]}" "${#list[@]}" "${list[1]}" "${BASH_SOURCE[0]}" "$LINENO"
[[ abc =~ b(.) ]] && echo "${BASH_REMATCH[1]}"
