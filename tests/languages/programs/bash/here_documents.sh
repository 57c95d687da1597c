name=you
cat <<END
hello $name $((6 * 7))
END
cat <<'END' >&2
to stderr $name
END
