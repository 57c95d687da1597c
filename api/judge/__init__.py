"""`POST /v1/judge`: one program, many inputs. Each case is an ordinary job; the verdict is computed here."""
