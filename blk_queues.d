blk_queues.o: tests/payload/blk_queues.c tests/payload/rt/virtio.h \
  tests/payload/rt/rt.h tests/payload/rt/layout.h

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
