/* SPDX-License-Identifier: Apache-2.0
 * Exports everything but the entry. */
int things_plugin_entries(void);
int things_plugin_entries(void) {
    return 0;
}
