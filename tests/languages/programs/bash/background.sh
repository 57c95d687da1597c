for n in 3 1 2; do (sleep 0.0$n; echo "$n" >> order) & done
wait
sort order
(exit 5) & wait $!; echo $?
