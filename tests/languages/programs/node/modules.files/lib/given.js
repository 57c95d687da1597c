exports.name = 'given';
