# A DeprecationWarning in a submitted module is hidden, a UserWarning is shown.
import helper

helper.complain()
