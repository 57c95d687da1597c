console.log(require('./lib/given').name);
import('./esm.mjs').then(module => console.log(module.default));
