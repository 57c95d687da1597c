// Preloaded by a node that is started before its program is there; node loads the program when this module is through.
'use strict';

function forget() {
  delete require.cache[__filename];
  const paths = require('module')._pathCache;
  for (const key of Object.keys(paths)) if (paths[key] === __filename) delete paths[key];
  process.execArgv = [];
  if (process._preload_modules) process._preload_modules.length = 0;
}

function wait(fs) {
  fs.writeSync(251, '\n');
  const text = fs.readFileSync(250, 'utf8'); // waits here
  fs.closeSync(250);
  fs.closeSync(251);
  try {
    return JSON.parse(text);
  } catch (error) {
    process.kill(process.pid, 'SIGKILL'); // the job's part is not whole
  }
}

function outlive(pid) {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  try {
    for (;;) {
      process.kill(pid, 0);
      Atomics.wait(cell, 0, 0, 0.05);
    }
  } catch (error) {} // it is gone
}

// A clock that began with this process has run while nothing did.
function setBack(holder, name, part, waited, sign) {
  const about = holder && Object.getOwnPropertyDescriptor(holder, name);
  if (!about || !about[part]) return;
  const clock = about[part];
  about[part] = new Proxy(clock, { apply: (_, self, args) => Reflect.apply(clock, self, args) + sign * waited });
  Object.defineProperty(holder, name, about);
}

function start() {
  const { performance } = require('perf_hooks');
  const before = performance.now();
  const job = wait(require('fs'));
  outlive(job.helper);
  const waited = performance.now() - before;
  setBack(Object.getPrototypeOf(performance), 'now', 'value', waited, -1);
  setBack(Object.getPrototypeOf(performance), 'timeOrigin', 'get', waited, 1);
  setBack(process, 'uptime', 'value', waited / 1000, -1);
  Object.assign(process.env, job.env);
  process.argv.push(...job.args);
}

forget();
if (require('worker_threads').isMainThread) start(); // a worker preloads what its parent did
