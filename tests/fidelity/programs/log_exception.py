# logging.exception prints the traceback and basicConfig names the format.
import logging

logging.basicConfig(level=logging.DEBUG)
try:
    {}["x"]
except KeyError:
    logging.exception("failed")
logging.debug("from %s", __name__)
