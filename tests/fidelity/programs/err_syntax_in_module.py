# A syntax error in a submitted module shows the import and the caret.
import broken
