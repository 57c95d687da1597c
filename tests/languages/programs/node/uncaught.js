console.log('before');
function fails() { throw new TypeError('mine'); }
fails();
