"""An echo with Flask-Sock: a message comes back as it was sent."""

from flask import Flask
from flask_sock import Server, Sock

app = Flask(__name__)
sock = Sock(app)


@sock.route("/")
def echo(ws: Server) -> None:
    while True:
        ws.send(ws.receive())
