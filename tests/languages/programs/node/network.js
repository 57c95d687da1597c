const server = require('http').createServer((request, response) => response.end('hello ' + request.url));
server.listen(0, '127.0.0.1', async () => {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/path`);
  console.log(answer.status, await answer.text());
  server.close();
});
