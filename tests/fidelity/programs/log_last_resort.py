# logging without configuration prints warnings on stderr.
import logging

logger = logging.getLogger("name")
logger.info("hidden")
logger.warning("shown %d", 1)
print(logging.root.handlers, logging.root.level, logger.handlers, logging.lastResort)
logging.error("configured by this call")
print(logging.root.handlers)
