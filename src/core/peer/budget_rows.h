/*
 * budget_rows.h - the row of a table of directives about further tries.
 *
 * Included inside the table, with BG: the name ("proxy_retry_budget"), BG_IN: where it may stand, BG_AT: where the struct
 * weir_budget_conf is, and BG_SET: the set() that calls budget_conf().
 */
	{ BG, BG_IN, CONF_CUSTOM, BG_AT, .args_min = 1, .args_max = 2, .set = BG_SET,
	  .args = "off | share% [min=number]",
	  .doc = "Further tries may be such a share of the requests, of stream connections, that the group got within the last ten "
	  "seconds, and so many (10) in any case; what would be more is not tried again. With a zone all workers count together. "
	  "Names that variables give have no group and no budget. By default, off, the number of tries is the only limit, as in "
	  "nginx." },
