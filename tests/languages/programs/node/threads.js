const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
if (isMainThread) {
  const worker = new Worker(__filename, { workerData: 20 });
  worker.on('message', value => console.log('thread says', value));
} else {
  const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
  parentPort.postMessage(fib(workerData));
}
