net_echo.o: tests/payload/net_echo.c tests/payload/rt/net.h \
  tests/payload/rt/virtio.h tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/net.h:

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
