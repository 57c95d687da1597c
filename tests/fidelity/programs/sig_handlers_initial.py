# Signal dispositions, mask and timers are those of a fresh interpreter.
import signal

for number in sorted(signal.valid_signals()):
    handler = signal.getsignal(number)
    if handler is not signal.SIG_DFL:
        print(int(number), getattr(handler, "__name__", None) or repr(handler))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getitimer(signal.ITIMER_REAL))
print(signal.getitimer(signal.ITIMER_VIRTUAL), signal.getitimer(signal.ITIMER_PROF), signal.sigpending())
print(signal.set_wakeup_fd(-1))
