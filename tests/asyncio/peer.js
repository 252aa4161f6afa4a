// Node.js as a peer of test_interop: see peers.py. `peer.js client URI` or `peer.js server`.
"use strict";

const ws = process.env.WS_MODULE ? require(process.env.WS_MODULE) : null;

const settings = JSON.parse(process.env.WS_DEFLATE || "null");
const perMessageDeflate = settings ? { ...settings, threshold: 0 } : undefined;

function client(uri, order) {
  const Client = ws ? ws.WebSocket : globalThis.WebSocket;
  if (!Client) {
    console.log("no WebSocket");
    return;
  }
  const socket = perMessageDeflate ? new Client(uri, ["chat"], { perMessageDeflate }) : new Client(uri, ["chat"]);
  const messages = [];
  const wanted = order.messages.filter((message) => message.text !== "close").length;
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    for (const message of order.messages) {
      socket.send("text" in message ? message.text : Buffer.from(message.hex, "hex"));
    }
  };
  socket.onmessage = ({ data }) => {
    messages.push(typeof data === "string" ? { text: data } : { hex: Buffer.from(data).toString("hex") });
    if (messages.length === wanted && order.closes) socket.close(4001, "done");
  };
  socket.onclose = ({ code, reason }) => {
    console.log(JSON.stringify({ messages, code, reason, protocol: socket.protocol }));
  };
}

function server() {
  const listener = new ws.WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate }, () => console.log(listener.address().port));
  listener.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => {
      if (!isBinary && data.toString() === "close") socket.close(4002, "asked");
      else socket.send(data, { binary: isBinary });
    });
  });
}

if (process.argv[2] === "server") {
  server();
} else {
  const chunks = [];
  process.stdin.on("data", (chunk) => chunks.push(chunk));
  process.stdin.on("end", () => client(process.argv[3], JSON.parse(Buffer.concat(chunks))));
}
