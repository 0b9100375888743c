"""HTTP/1.1 on asyncio protocols: the server side, the pooled client side, and the rules about headers between them."""
