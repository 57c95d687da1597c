yes | head -n 2
echo "${PIPESTATUS[@]}"
seq 5 | while read -r n; do (( n % 2 )) && echo "$n"; done
diff <(printf 'a\nb\n') <(printf 'a\nc\n')
