// Posts with Node's fetch, one after the other: node post.mjs <url> <token> <count>
const [url, token, count] = process.argv.slice(2);
for (let number = 0; number < Number(count); number++) {
  const body = String(number);
  const answer = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${token}` }, body });
  const text = await answer.text();
  if (answer.status !== 200 || text !== body) throw new Error(`${number}: ${answer.status} ${text}`);
}
