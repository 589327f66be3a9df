blk_limit.o: tests/payload/blk_limit.c tests/payload/rt/virtio.h \
  tests/payload/rt/rt.h tests/payload/rt/layout.h

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
