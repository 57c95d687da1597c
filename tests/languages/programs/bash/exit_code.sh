trap 'echo leaving' EXIT
exit 37
