/* SPDX-License-Identifier: Apache-2.0 */
/* Feature bit numbers that belong to no device (virtio 1.2 §6). */
#pragma once

#define VIRTIO_F_INDIRECT_DESC 28u
#define VIRTIO_F_EVENT_IDX     29u
#define VIRTIO_F_VERSION_1     32u
#define VIRTIO_F_IN_ORDER      35u
