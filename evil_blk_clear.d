evil_blk_clear.o: tests/payload/evil_blk_clear.c \
  tests/payload/rt/virtio.h tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
