"""The network benchmark: whole servers, over sockets, under the load of a program in C."""
