const fs = require('fs');
fs.writeFileSync('a.txt', 'text'); fs.mkdirSync('d'); fs.appendFileSync('d/b', 'more');
console.log(fs.readdirSync('.').sort(), fs.statSync('a.txt').mode.toString(8), fs.readFileSync('d/b', 'utf8'));
fs.promises.readFile('none').catch(error => console.log(error.code));
