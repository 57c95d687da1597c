const bytes = Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100,
  100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11]);
WebAssembly.instantiate(bytes).then(({ instance }) => console.log(instance.exports.add(40, 2)));
const hot = n => { let sum = 0; for (let i = 0; i < n; i++) sum = (sum + i * i) % 1000003; return sum; };
console.log(hot(5e6), 2n ** 70n, require('crypto').createHash('sha256').update('a').digest('hex'), require('zlib').gzipSync('a').length);
