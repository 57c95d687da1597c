const { execFileSync, spawnSync } = require('child_process');
console.log(execFileSync('echo', ['from a child']).toString());
console.log(spawnSync(process.execPath, ['-e', 'process.exit(3)']).status);
