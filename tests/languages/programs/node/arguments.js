console.log(process.argv.slice(2), require('path').basename(__filename), process.execArgv);
console.error('to stderr');
