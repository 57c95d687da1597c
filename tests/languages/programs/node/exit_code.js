process.on('exit', code => console.log('leaving', code));
setTimeout(() => console.log('never'), 1000);
process.exit(37);
