/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal while a VM uses it. The monitor may die in any way; this process does not share its
 * fate and puts the terminal back. Only Ctrl-C keeps its meaning, because it is how one ends
 * `mayfly run`; Ctrl-Z, Ctrl-\, Ctrl-D and flow control are the guest's. Output processing stays
 * on, so that this process's own messages still start in column one.
 */
#include "cli/run.h"

#include <unistd.h>

void run_tty_open(struct run_tty *t)
{
	struct termios raw;
	pid_t owner;

	*t = (struct run_tty){0};
	if (tcgetattr(STDIN_FILENO, &t->saved) < 0)
		return;
	owner = tcgetpgrp(STDIN_FILENO);
	if (owner != -1 && owner != getpgrp()) {
		/* Reading, or changing the terminal, would stop the whole job. */
		t->in_background = true;
		return;
	}
	raw = t->saved;
	raw.c_iflag &= ~(tcflag_t)(BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
	raw.c_lflag |= ISIG;
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	raw.c_cc[VQUIT] = _POSIX_VDISABLE;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	t->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void run_tty_restore(struct run_tty *t)
{
	if (t->is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &t->saved);
	t->is_raw = false;
}
