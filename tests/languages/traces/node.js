// Everything that a program can see of the node that runs it. First: nobody else is there.
const fs = require('fs'), Module = require('module');
console.log(fs.readdirSync('/proc').filter(name => Number(name)), fs.existsSync('/dev/fd/250'), fs.existsSync('/dev/fd/251'));
console.log(process.argv, process.execArgv, process.argv0, process.title, process._preload_modules, process.ppid);
console.log(Object.keys(require.cache), Object.keys(Module._pathCache), module.children, module.id, module.paths);
console.log(require.main === module, process.mainModule === module, module.parent, process.env, process.cwd());
console.log(Reflect.ownKeys(globalThis), Reflect.ownKeys(process), Reflect.ownKeys(performance));
console.log(process.uptime.name, performance.now.name, performance.now.length, process.exitCode, process.umask());
console.log(performance.now() < 1000, process.uptime() < 1, Math.abs(Date.now() - performance.timeOrigin) < 1000);
console.log(process._getActiveHandles().length, process._getActiveRequests().length, process.listenerCount('exit'));
console.log(fs.readdirSync('/proc/self/fd').length, fs.openSync('main.js') - fs.openSync('main.js'));
console.log(new Error('stack').stack, process.report && process.report.signal, process.getMaxListeners());
console.log(fs.readFileSync(0, 'utf8'), process.allowedNodeEnvironmentFlags.size, process.features.typeof);
const { Worker } = require('worker_threads'), { execFileSync, fork } = require('child_process');
const clock = `performance.now() < Date.now() - ${Date.now()} + 1000`;  // a thread may take long to start
const code = `console.log(process.execArgv, process.argv.length, Object.keys(require.cache), ${clock})`;
new Worker(code, { eval: true }).on('exit', () => {
  console.log(execFileSync(process.execPath, ['-p', 'Object.keys(process.env)']).toString());
  fs.writeFileSync('child.js', 'console.log(process.execArgv, process.argv.length); process.disconnect()');
  fork('child.js').on('exit', status => { console.log(status); null.thrown; });
});
