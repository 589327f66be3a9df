/* SPDX-License-Identifier: Apache-2.0 */
/* The keyboard controller. See i8042.h. Commands: IBM PS/2 technical reference. */
#include "vmm/legacy/i8042.h"

#include <string.h>

#define STATUS_OUT_FULL   0x01
#define STATUS_SYSTEM     0x04
#define STATUS_COMMAND    0x08
#define STATUS_NO_INHIBIT 0x10

#define CMD_READ_CONTROL     0x20
#define CMD_WRITE_CONTROL    0x60
#define CMD_DISABLE_AUX      0xa7
#define CMD_ENABLE_AUX       0xa8
#define CMD_TEST_AUX         0xa9
#define CMD_SELF_TEST        0xaa
#define CMD_TEST_KEYBOARD    0xab
#define CMD_DISABLE_KEYBOARD 0xad
#define CMD_ENABLE_KEYBOARD  0xae
#define CMD_READ_OUTPUT      0xd0
#define CMD_WRITE_OUTPUT     0xd1
#define CMD_RESET            0xfe

#define CONTROL_KEYBOARD_IRQ 0x01
#define CONTROL_SYSTEM       0x04
#define CONTROL_NO_KEYBOARD  0x10
#define CONTROL_NO_AUX       0x20
#define SELF_TEST_PASSED     0x55
#define PORT_WORKS           0x00 /* interface test */
#define PORT_MISSING         0x01 /* interface test: clock line stuck */
#define OUTPUT_NOT_RESET     0x01

#define KEYBOARD_GET_ID   0xf2
#define KEYBOARD_RESET    0xff
#define KEYBOARD_ACK      0xfa
#define KEYBOARD_ID_1     0xab /* an MF2 keyboard, */
#define KEYBOARD_ID_2     0x83 /* not translated */
#define KEYBOARD_RESET_OK 0xaa

/* Ctrl, Alt and Del down, then up: scan code set 2, which an untranslated keyboard sends. */
static const uint8_t i8042_keys[] = {
	0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14};

static const struct field i8042_state_fields[] = {
	FIELD(1, 1, struct i8042_state, control, 0),
	FIELD(2, 1, struct i8042_state, output_port, 0),
	FIELD(3, 1, struct i8042_state, pending, 0),
	FIELD(4, 1, struct i8042_state, data_count, 4),
	FIELD_ARRAY(5, 1, struct i8042_state, data, 0),
	FIELD(6, 1, struct i8042_state, keys_left, sizeof(i8042_keys)),
};
const struct field_table i8042_state_table =
	FIELD_TABLE("i8042", struct i8042_state, i8042_state_fields, NULL);

void i8042_init(struct i8042 *k, const struct irq_line *irq, vm_end_fn end, void *end_ctx)
{
	memset(k, 0, sizeof(*k));
	(void)pthread_mutex_init(&k->lock, NULL);
	k->st.control = CONTROL_SYSTEM | CONTROL_NO_KEYBOARD | CONTROL_NO_AUX;
	k->st.output_port = OUTPUT_NOT_RESET;
	k->irq = irq;
	k->end = end;
	k->end_ctx = end_ctx;
}

void i8042_fini(struct i8042 *k)
{
	(void)pthread_mutex_destroy(&k->lock);
}

static bool i8042_keyboard_on(const struct i8042 *k)
{
	return !(k->st.control & CONTROL_NO_KEYBOARD);
}

static bool i8042_output_full(const struct i8042 *k)
{
	return k->st.data_count > 0 || (k->st.keys_left > 0 && i8042_keyboard_on(k));
}

/* An edge for each byte that becomes readable. */
static void i8042_interrupt(const struct i8042 *k)
{
	if (k->irq && (k->st.control & CONTROL_KEYBOARD_IRQ) && i8042_output_full(k))
		irq_line_raise(k->irq);
}

static void i8042_answer(struct i8042 *k, uint8_t byte)
{
	if (k->st.data_count < sizeof(k->st.data))
		k->st.data[k->st.data_count++] = byte;
	else
		counter_add(&k->counters.error_count, 1);
}

/* True if the command resets the machine. */
static bool i8042_command(struct i8042 *k, uint8_t cmd)
{
	k->st.pending = 0;
	switch (cmd) {
	case CMD_READ_CONTROL:
		i8042_answer(k, k->st.control);
		break;
	case CMD_SELF_TEST:
		i8042_answer(k, SELF_TEST_PASSED);
		break;
	case CMD_TEST_KEYBOARD:
		i8042_answer(k, PORT_WORKS);
		break;
	case CMD_TEST_AUX:
		i8042_answer(k, PORT_MISSING);
		break;
	case CMD_DISABLE_KEYBOARD:
		k->st.control |= CONTROL_NO_KEYBOARD;
		break;
	case CMD_ENABLE_KEYBOARD:
		k->st.control &= (uint8_t)~CONTROL_NO_KEYBOARD;
		break;
	case CMD_DISABLE_AUX:
		k->st.control |= CONTROL_NO_AUX;
		break;
	case CMD_ENABLE_AUX:
		k->st.control &= (uint8_t)~CONTROL_NO_AUX;
		break;
	case CMD_READ_OUTPUT:
		i8042_answer(k, k->st.output_port);
		break;
	case CMD_WRITE_CONTROL:
	case CMD_WRITE_OUTPUT:
		k->st.pending = cmd;
		break;
	case CMD_RESET:
		counter_add(&k->counters.reset_count, 1);
		return true;
	default:
		break;
	}
	return false;
}

/* What a keyboard says to a command; it takes arguments for commands, too. */
static void i8042_keyboard(struct i8042 *k, uint8_t byte)
{
	i8042_answer(k, KEYBOARD_ACK);
	if (byte == KEYBOARD_GET_ID) {
		i8042_answer(k, KEYBOARD_ID_1);
		i8042_answer(k, KEYBOARD_ID_2);
	} else if (byte == KEYBOARD_RESET) {
		i8042_answer(k, KEYBOARD_RESET_OK);
	}
	i8042_interrupt(k);
}

/* A byte on the data port: the argument of a command, or for the keyboard. */
static bool i8042_data(struct i8042 *k, uint8_t byte)
{
	uint8_t cmd = k->st.pending;

	k->st.pending = 0;
	if (cmd == CMD_WRITE_CONTROL)
		k->st.control = byte;
	if (cmd == 0)
		i8042_keyboard(k, byte);
	if (cmd != CMD_WRITE_OUTPUT)
		return false;
	k->st.output_port = byte;
	return !(byte & OUTPUT_NOT_RESET);
}

static void i8042_read_data(void *dev, uint64_t off, void *data, uint32_t len)
{
	struct i8042 *k = dev;

	(void)off;
	memset(data, 0, len);
	(void)pthread_mutex_lock(&k->lock);
	if (k->st.data_count > 0) {
		*(uint8_t *)data = k->st.data[0];
		k->st.data_count--;
		memmove(k->st.data, k->st.data + 1, sizeof(k->st.data) - 1);
		counter_add(&k->counters.read_count, 1);
	} else if (i8042_output_full(k)) {
		*(uint8_t *)data = i8042_keys[sizeof(i8042_keys) - k->st.keys_left];
		k->st.keys_left--;
		counter_add(&k->counters.read_count, 1);
	} else {
		counter_add(&k->counters.missed_read_count, 1);
	}
	i8042_interrupt(k);
	(void)pthread_mutex_unlock(&k->lock);
}

static void i8042_read_status(void *dev, uint64_t off, void *data, uint32_t len)
{
	struct i8042 *k = dev;

	(void)off;
	memset(data, 0, len);
	(void)pthread_mutex_lock(&k->lock);
	*(uint8_t *)data = (uint8_t)(STATUS_SYSTEM | STATUS_NO_INHIBIT |
				     (i8042_output_full(k) ? STATUS_OUT_FULL : 0) |
				     (k->st.pending ? STATUS_COMMAND : 0));
	(void)pthread_mutex_unlock(&k->lock);
}

static void i8042_write(struct i8042 *k, bool (*fn)(struct i8042 *, uint8_t), uint8_t byte)
{
	bool reset;

	(void)pthread_mutex_lock(&k->lock);
	counter_add(&k->counters.write_count, 1);
	reset = fn(k, byte);
	(void)pthread_mutex_unlock(&k->lock);
	if (reset)
		k->end(k->end_ctx, VM_END_RESET);
}

static void i8042_write_data(void *dev, uint64_t off, const void *data, uint32_t len)
{
	(void)off;
	(void)len;
	i8042_write(dev, i8042_data, *(const uint8_t *)data);
}

static void i8042_write_command(void *dev, uint64_t off, const void *data, uint32_t len)
{
	(void)off;
	(void)len;
	i8042_write(dev, i8042_command, *(const uint8_t *)data);
}

bool i8042_ctrl_alt_del(struct i8042 *k)
{
	bool ok;

	(void)pthread_mutex_lock(&k->lock);
	ok = i8042_keyboard_on(k) && k->st.keys_left == 0;
	if (ok) {
		k->st.keys_left = sizeof(i8042_keys);
		i8042_interrupt(k);
	}
	(void)pthread_mutex_unlock(&k->lock);
	return ok;
}

const struct bus_ops i8042_data_bus_ops = {.read = i8042_read_data, .write = i8042_write_data};
const struct bus_ops i8042_cmd_bus_ops = {.read = i8042_read_status, .write = i8042_write_command};

void i8042_load(struct i8042 *k, const struct i8042_state *s)
{
	(void)pthread_mutex_lock(&k->lock);
	k->st = *s;
	i8042_interrupt(k);
	(void)pthread_mutex_unlock(&k->lock);
}
