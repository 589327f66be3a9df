net_queues.o: tests/payload/net_queues.c tests/payload/rt/net.h \
  tests/payload/rt/virtio.h tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/net.h:

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
