-- For PostgreSQL only, where CHECKs have a price. Here they are compiled with each statement, once.
SELECT 1;
