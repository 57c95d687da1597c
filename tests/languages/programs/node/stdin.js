let text = '';
process.stdin.setEncoding('utf8').on('data', part => text += part).on('end', () => console.log(text.toUpperCase()));
