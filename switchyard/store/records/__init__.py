"""Small collections of records that many processes follow: a few thousand, written seldom, read by all at once."""
