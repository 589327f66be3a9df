blk_bounds.o: tests/payload/blk_bounds.c tests/payload/rt/virtio.h \
  tests/payload/rt/rt.h tests/payload/rt/layout.h

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
