# sys.unraisablehook hears of output that is lost at exit.
import sys, os
sys.unraisablehook=lambda u: os.write(2, repr((u.exc_type,str(u.exc_value),u.err_msg,u.object is sys.stdout, u.exc_traceback)).encode())
print("lost"); os.close(1)
