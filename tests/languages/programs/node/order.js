setTimeout(() => console.log('timeout'));
setImmediate(() => setTimeout(() => console.log('later'), 5));
Promise.resolve().then(() => console.log('microtask'));
process.nextTick(() => console.log('tick'));
console.log('now');
