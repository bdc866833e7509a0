/* A target of C needs a source; all that this one has is in its header. */
